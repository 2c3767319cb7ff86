"""``python -m icltui``: the same as the ``icltui`` command."""

if __name__ == "__main__":
    from icltui.child_process import leave_current_folder

    leave_current_folder()  # before anything else is imported

    from icltui.cli import main

    raise SystemExit(main())
