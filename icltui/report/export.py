"""What *export* wrote, as text: JSON for scripts, a few lines for people."""

from collections.abc import Iterator

from icltui.report.json_document import as_json
from icltui.text.escape import visible
from icltui.text.tables import number, render
from icltui.values import ExportReport
from icltui.values.recipe import Recipe, patch_words

_TITLES = {
    "peft": "a LoRA adapter for PEFT",
    "gguf-lora": "a LoRA adapter for llama.cpp",
    "gguf-control-vector": "a control vector for llama.cpp",
    "factors": "the patch's factors",
}


def export_json(recipe: Recipe, report: ExportReport) -> str:
    """Every number, and the recipe that the patch was made by."""
    return as_json({"recipe": recipe, "report": report})


def export_text(recipe: Recipe, report: ExportReport, width: int = 110) -> str:
    """What was written, how it compares with the patch, what was left out, and what to know."""
    return render(["\n".join(export_lines(recipe, report))], width)


def export_lines(recipe: Recipe, report: ExportReport) -> Iterator[str]:
    """The report line by line; the first says what was written."""
    rank = f"rank {report.rank}, " if report.format in ("peft", "gguf-lora") else ""
    yield f"{_TITLES[report.format]}: {rank}{report.n_tensors} tensors"
    yield from (f"  {visible(name)}" for name in report.files)
    yield f"patch: {visible(patch_words(recipe))}"
    if report.largest_difference is not None:
        allowed = (report.tolerance or 0.0) * (report.logit_scale or 0.0)
        yield (
            f"read back, on {report.n_compared} tokens: logits differ from the patch's by at most "
            f"{number(report.largest_difference)} (largest logit {number(report.logit_scale)}, "
            f"allowed {number(allowed)}; the patch moves them by {number(report.largest_effect)})"
        )
    if report.left_out:
        yield f"left out: {visible('; '.join(report.left_out))}"
    elif report.kl_exported is not None:
        yield (
            f"KL from the contextual distribution after the query: {number(report.kl_exported)} as written and "
            f"{number(report.kl_patch)} with the patch, of which nothing is left out"
        )
    yield from (f"note: {visible(note)}" for note in report.notes)
