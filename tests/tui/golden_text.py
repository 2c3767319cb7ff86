"""Lines of text compared with those that were kept in a file."""

from pathlib import Path


def compare_text(text: str, golden: Path, is_rewritten: bool) -> None:
    """Line by line, blanks at the ends of lines apart; ``is_rewritten`` writes the file anew first."""
    found = [line.rstrip() for line in text.splitlines()]
    if is_rewritten:
        golden.write_text("\n".join(found) + "\n", encoding="utf-8")
    known = golden.read_text(encoding="utf-8").splitlines()
    for n, (ours, theirs) in enumerate(zip(found, known, strict=True), 1):
        assert ours == theirs, f"line {n} of {golden.name}: --rewrite if this is meant"
