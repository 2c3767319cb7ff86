"""``python -m icltui``: the same as the ``icltui`` command."""

from icltui.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
