"""The engine in a child process: JSON lines over stdio, in the manner of a language server.

===================  ===========================================================================
``protocol``         the messages between the two processes, and their bytes
``handshake``        the greeting that the child begins with, and why there was none
``process``          a child process: started, read, ended
``message_splitter`` separates messages from other output; ``log`` keeps that output
``event_check``      checks that the child's events fit together
``client``           the parent: :class:`~icltui.worker.client.RemoteEngine`, an ``api.engine.Client``
``server``           the child: one job at a time, until its parent is gone
``job_queue``        the jobs that wait, and whether the running one shall stop
``redirect_output``  sends to stderr whatever else would be printed among the messages
===================  ===========================================================================

Neither torch nor textual is imported here: the child is handed its engine, the parent its listener.
"""
