"""What a held patch does on text that it was not made from, in one sentence for a person.

Results and settings enter; the sentence leaves, or nothing where nothing of it is known.
"""

from collections.abc import Sequence

from icltui.tui.state.results import Results
from icltui.tui.state.run_settings import RunSettings
from icltui.values import PatchReport, PatchTest, Tested


def patch_sentence(results: Results, settings: RunSettings) -> str:
    """The sentence on the patch of the patched lane; none where that lane is off or of other choices."""
    if not settings.is_delta_on or not results.texts.steps.get("patched"):
        return ""
    if not results.is_lane_fresh("patched", settings):
        return ""
    made = results.trials.adopted(settings)
    if made and results.trials.is_compilation_fresh(settings, results.model):
        return f"made although it would harm: {made.sentence}" if made.refused else made.sentence
    is_compiled = settings.recipe.mode == "compiled"
    return _of_report(results.patch) if is_compiled and results.patch else ""


_KINDS: dict[Tested, str] = {
    "fitted tokens": "its own tokens",
    "later tokens": "later text",
    "other queries": "unseen queries",
    "other queries, later": "their later text",
}


def words_of_tests(tests: Sequence[PatchTest]) -> str:
    """What each test of a patch found, in words: the tokens said as with the context, and KL with and without it."""
    return " · ".join(
        f"{_KINDS[test.what]} {test.equal}/{test.n_tokens} as with the context ({test.equal_plain} without the patch), "
        f"KL {_short(test.kl)} ({_short(test.kl_plain)})"
        if not at
        else f"{_KINDS[test.what]} {test.equal}/{test.n_tokens} ({test.equal_plain}), "
        f"KL {_short(test.kl)} ({_short(test.kl_plain)})"
        for at, test in enumerate(tests)
    )


def _short(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2g}"


def _of_report(patch: PatchReport) -> str:
    """What the tests of a patch say that no compilation has chosen."""
    tests = {test.what: test for test in patch.tests}
    if (unseen := tests.get("other queries")) and unseen.n_tokens:
        return (
            f"speaks for the context at {unseen.equal} of {unseen.n_tokens} tokens of unseen queries "
            f"({unseen.equal_plain} without it)"
        )
    if (later := tests.get("later tokens")) and later.n_tokens:
        return (
            f"agrees with the context at {later.equal} of {later.n_tokens} later tokens "
            f"({later.equal_plain} without it); Q writes unseen queries to test it with"
        )
    return ""
