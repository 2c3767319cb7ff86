"""The engine in a child process: JSON lines over stdio, in the manner of a language server.

===================  ===========================================================================
``protocol``         the messages of the two processes, and their bytes
``handshake``        how the two find each other, and why they did not
``process``          a child process: started, read, ended
``line_reader``      messages separated from what else is printed; ``log``, where that goes
``event_check``      whether the child's events fit together
``client``           the parent: :class:`~icltui.worker.client.RemoteEngine`, an ``api.messages.Client``
``server``           the child: one job at a time, until its parent is gone
``job_queue``        the jobs that wait, and the wish to stop the one that runs
``redirect_output``  keeps everything but messages off stdout
===================  ===========================================================================

Neither torch nor textual is imported here: the child is handed its engine, the parent its listener.
"""
