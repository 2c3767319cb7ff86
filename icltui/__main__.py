"""Where the ``icltui`` command begins, and ``python -m icltui``: before anything of it is imported."""


def main() -> int:
    """Run one command; its exit code, also where it is interrupted as it begins."""
    try:
        from icltui.cli.main import main as run
    except KeyboardInterrupt:
        from icltui.values.errors import EXIT_INTERRUPTED

        return EXIT_INTERRUPTED
    return run()


if __name__ == "__main__":
    from icltui.system.child_environment import leave_current_folder

    leave_current_folder()  # before anything else is imported
    raise SystemExit(main())
