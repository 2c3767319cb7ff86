"""The engine in a child process: JSON lines over stdio, in the manner of a language server.

============  =======================================================================
``wire``      what the two processes say to each other, and its bytes
``hush``      keeps everything but the wire off the wire
``desk``      the jobs that wait, and the wish to stop the one that runs
``serve``     the child: one job at a time, until its parent is gone
``lines``     messages put apart from what else is printed; ``log``, where that goes
``child``     the process: spawned, read, ended
``claims``    whether the child's events fit together
``greeting``  how the two find each other, and why they did not
``remote``    the parent: :class:`~icltui.worker.client.RemoteEngine`, an ``api.Client``
============  =======================================================================

Neither torch nor textual is imported here: the child is handed its engine, the parent its listener.
"""
