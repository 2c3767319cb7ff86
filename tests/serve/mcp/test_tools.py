"""What agents are answered, by the real engine and its embedded model in this process."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.limits import Limits
from icltui.api.messages import (
    Compile,
    CompileEnded,
    CurvesEnded,
    Event,
    ExamEnded,
    Examine,
    Generate,
    HeadsEnded,
    Measure,
    MeasureCurves,
    MeasureHeads,
    Request,
    UnitsMeasured,
    VerificationEnded,
    Verify,
)
from icltui.api.operation import OPERATIONS
from icltui.cli.main import main
from icltui.serve.mcp.answers.answer import rounded
from icltui.serve.mcp.tools import TOOLS
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.curves_and_heads import CURVES, HEADS
from tests.serve.loaded_engine import LoadedEngine
from tests.serve.mcp.agents import CannedEngine, EngineClient, agent
from tests.sessions import A_VERIFICATION
from tests.tui.samples import COMPILATION, exam

CONTEXT, QUERY = (
    "The capital of France is Rome.\nThe capital of Spain is Cairo.\n",
    "The capital of France is",
)
PROMPT = Prompt(context=CONTEXT, query=QUERY)
GIVEN = {"context": CONTEXT, "query": QUERY}
VIEWS = {"detail", "units"}
CANNED: dict[type, Event] = {
    Verify: VerificationEnded(verification=A_VERIFICATION),
    MeasureCurves: CurvesEnded(curves=CURVES),
    MeasureHeads: HeadsEnded(heads=HEADS),
    Compile: CompileEnded(compilation=COMPILATION),
    Examine: ExamEnded(exam=exam()),
}
"""Answers made by hand, whose texts are hostile."""


QUERIES = {"queries": ["a"], "holdout": ["b", "c"]}
"""What an exam needs besides."""


async def answered(client: Any, name: str, **arguments: Any) -> dict[str, Any]:
    """The answer to a call, of which text and structure are one; the client has held it against its schema."""
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    found: dict[str, Any] = result.structured_content
    return found


def test_every_operation_is_a_tool_made_from_the_table_of_options() -> None:
    assert list(TOOLS) == ["model", "count_tokens", *(operation.name for operation in OPERATIONS)]
    for operation in OPERATIONS:
        tool = TOOLS[operation.name]
        options = {option.field for option in operation.remote_options}
        assert operation.purpose in tool.description
        assert set(tool.input_schema["properties"]) - VIEWS == options
        assert not options & VIEWS, "a view has an option's name"
        assert tool.input_schema["required"] == list(operation.required)


def test_every_tool_promises_controls_and_what_is_evidence() -> None:
    for tool in TOOLS.values():
        schema = tool.output_schema
        assert schema["type"] == "object"
        assert {"summary", "result", "controls", "evidence"} <= set(schema["required"])
        controls = schema["properties"]["controls"]["$ref"].rpartition("/")[2]
        assert schema["$defs"][controls]["required"], f"{tool.name} may answer without any control"


async def test_what_the_engine_compares_with_is_passed_on_as_controls() -> None:
    async with agent(EngineClient(CannedEngine(CANNED)), mode="legacy") as client:
        curves = await answered(client, "curves", **GIVEN)
        heads = await answered(client, "heads", **GIVEN)
        compiled = await answered(client, "compile", **GIVEN, ridge=1.0)
        sheet = await answered(client, "exam", **GIVEN, **QUERIES)
    gain = curves["controls"]["gain"]
    assert (gain["value"], gain["low"], gain["high"]) == (-1.5, -2.0, -1.0)
    assert gain["excludes_zero"]
    assert curves["controls"]["level_above_own_text"]["excludes_zero"]
    assert heads["controls"]["chance"] == rounded(HEADS.chance)
    nulls = [score.induction_null for score in HEADS.heads if score.induction_null is not None]
    assert heads["controls"]["largest_null"] == (rounded(max(nulls)) if nulls else None)
    unseen = COMPILATION.unseen
    assert unseen is not None
    assert compiled["controls"]["kl_without_patch"] == rounded(unseen.kl_plain)
    assert compiled["controls"]["leave_one_out_r"] == rounded(COMPILATION.leave_one_out.r_median)
    rows = {row.patch: row.r_median for row in exam().rows}
    assert sheet["controls"]["random"]["r_median"] == rounded(rows["random"])
    assert sheet["controls"]["bound"]["r_median"] == rounded(rows["per-step"])
    assert (sheet["controls"]["right_with_context"], sheet["controls"]["right_without"]) == (2, 0)


async def test_an_exam_has_its_controls_among_the_rows_whatever_is_asked() -> None:
    asked = EngineClient(CannedEngine(CANNED))
    async with agent(asked, mode="legacy") as client:
        await answered(client, "exam", **GIVEN, **QUERIES, rows=["plain"])
    request = asked.requests[-1]
    assert isinstance(request, Examine)
    assert set(request.rows) == {"plain", "random", "per-step"}


async def test_a_measure_agrees_with_the_engine_and_has_the_proof_beside_it(engine: LoadedEngine) -> None:
    prompt = replace(PROMPT, unit="line")
    measured = run_to_result.measure(engine, Measure(prompt=prompt))
    proof = run_to_result.verify(engine, Verify(prompt=prompt))
    async with agent(EngineClient(engine), mode="legacy") as client:
        answer = await answered(client, "measure", **GIVEN, unit="line", units="2")
    rows = {(row.unit, row.layer): row for row in measured.rows}
    shares = {
        unit: sum(
            rows[unit, layer].delta_norm / sum(rows[u, layer].delta_norm for u in (1, 2))  # type: ignore[operator,misc]
            for layer in measured.layers
        )
        / len(measured.layers)
        for unit in (1, 2)
    }
    top = answer["result"]["top_units"]
    assert [unit["unit"] for unit in top] == sorted(shares, key=lambda unit: -shares[unit])
    assert [unit["share"] for unit in top] == [rounded(shares[unit["unit"]]) for unit in top]
    assert {row["layer"]: row["delta_norm"] for row in answer["result"]["rows"]} == {
        layer: rounded(rows[2, layer].delta_norm) for layer in measured.layers
    }
    assert [flip["after"] for flip in answer["result"]["flips"]] == [" Rome"]
    lanes = answer["controls"]["verification"]["proof"]["lanes"]
    assert {name: lane["kl"] for name, lane in lanes.items()} == {
        name: rounded(error.kl) for name, error in (proof.logits | proof.controls).items()
    }
    assert answer["controls"]["kept"]["tokens"] == ["<|bos|>"]


async def test_a_generation_has_the_lanes_of_other_patches_beside_it(
    engine: LoadedEngine,
) -> None:
    async with agent(EngineClient(engine), mode="legacy") as client:
        answer = await answered(client, "generate", **GIVEN, mode="frozen", control="random", n_tokens=2)
    patches = answer["controls"]["patches"]
    assert set(patches) == {"none", "shuffled"}
    for name, found in {**{n: p["lane"] for n, p in patches.items()}, "random": None}.items():
        request = Generate(prompt=PROMPT, recipe=Recipe(mode="frozen", control=name), n_tokens=2)
        expected = run_to_result.generate(engine, request)
        lane = found or answer["result"]["lanes"]["patched"]
        assert lane["text"] == expected.lanes["patched"].text
        assert lane["equal"] == expected.agreement["patched"].equal
        assert lane["kl"] == rounded(expected.fit["patched"].kl)
    assert answer["controls"]["plain"] == answer["result"]["lanes"]["plain"]


async def test_the_full_answer_is_what_the_command_prints(
    engine: LoadedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    async with agent(EngineClient(engine), mode="legacy") as client:
        answer = await answered(client, "verify", **GIVEN, detail="full")
    assert main(["verify", "-c", CONTEXT, "-q", QUERY, "--format", "json"]) == 0
    assert answer["full"] == json.loads(capsys.readouterr().out)
    assert answer["controls"]["random"]["kl"] == rounded(answer["full"]["controls"]["random"]["kl"])


async def test_an_answer_fits_the_window_or_says_what_to_ask(engine: LoadedEngine) -> None:
    many = " ".join(f"word{n}" for n in range(30))
    async with agent(EngineClient(engine), characters=4000, mode="legacy") as client:
        result = await client.call_tool("measure", {"context": many, "query": QUERY, "layers": "0"})
        assert not result.is_error
        assert len(result.content[0].text) <= 4000
        n_units = result.structured_content["result"]["n_units"]
        top, left_out = (
            result.structured_content["result"]["top_units"],
            result.structured_content["left_out"],
        )
        assert len(top) + left_out["top_units"] == n_units > len(top) > 0
        for more in ({"detail": "full"}, {"units": "1-30"}):
            refused = await client.call_tool(
                "measure", {"context": many, "query": QUERY, "layers": "0", **more}
            )
            assert refused.is_error
            assert refused.content[0].text.startswith("too_large: ")


async def test_what_just_fits_is_told_so_and_answered(engine: LoadedEngine) -> None:
    async with agent(EngineClient(engine), mode="legacy") as client:
        counted = (await answered(client, "count_tokens", **GIVEN))["result"]
    n_tokens = counted["context"] + counted["query"]
    assert counted["kept"]
    for n_allowed in (n_tokens, n_tokens - 1):
        async with agent(EngineClient(engine), Limits(prompt_tokens=n_allowed), mode="legacy") as client:
            fits = (await answered(client, "count_tokens", **GIVEN))["result"]["fits"]
            verified = await client.call_tool("verify", {**GIVEN, "layers": "0"})
        assert (fits, verified.is_error) == ((n_allowed == n_tokens), (n_allowed < n_tokens))


class NoisyEngine:
    """The embedded model in an arithmetic of which so much is rounding that some of ‖δ‖ or all of it is."""

    def __init__(self, engine: LoadedEngine, noise: float) -> None:
        self.engine, self.noise = engine, noise

    def run(self, request: Request, should_stop: Callable[[], bool]) -> Iterator[Event]:
        for event in self.engine.run(request, should_stop):
            if isinstance(event, UnitsMeasured):
                rows = tuple(replace(row, delta_noise=self.noise) for row in event.rows)
                yield replace(event, rows=rows)
            else:
                yield event


async def test_what_is_no_more_than_rounding_is_said_in_words(engine: LoadedEngine) -> None:
    norms = run_to_result.measure(engine, Measure(prompt=PROMPT, layers="0")).rows
    middle = sorted(row.delta_norm for row in norms if row.delta_norm)[2]
    for noise, said in ((middle, "3 of 16 ‖δ‖ are no more than rounding"), (1e9, "None of 16 units moves")):
        async with agent(EngineClient(NoisyEngine(engine, noise)), mode="legacy") as client:
            summary = (await answered(client, "measure", **GIVEN, layers="0"))["summary"]
        assert said in summary
        assert ("moves the model most" in summary) == (noise == middle)


async def test_words_of_the_next_token_say_what_the_model_reads(engine: LoadedEngine) -> None:
    said = {"grow": "without the context, ' Rome'", "drop": "with the whole context, "}
    for dynamics, words in said.items():
        async with agent(EngineClient(engine), mode="legacy") as client:
            answer = await answered(client, "measure", **GIVEN, dynamics=dynamics, layers="0", unit="line")
        assert words in answer["summary"]


REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("measure", {"context": "a"}, "bad_input: the query is empty"),
    ("measure", {"query": 3}, "bad_input: query: a text is needed"),
    ("measure", {"query": "a", "layers": "77"}, "bad_input: layers '77' out of range"),
    ("measure", {"query": "a", "units": "3-1"}, "bad_input: units '3-1'"),
    ("measure", {"query": "a", "units": 3}, "bad_input: units '3' not understood"),
    ("measure", {"query": "a", "detail": ["full"]}, "bad_input: detail"),
    ("measure", {"query": "a", "background": "/etc/passwd"}, "bad_input: 'background' is no option"),
    (
        "generate",
        {"query": "a", "background": "/etc/passwd"},
        "bad_input: 'background' is not offered here",
    ),
    ("generate", {"query": "a", "n_tokens": 10**6}, "too_large: "),
    ("count_tokens", {"query": "a", "layers": "0"}, "bad_input: 'layers' is no option of count_tokens"),
    ("model", {"query": "a"}, "bad_input: 'query' is no option of model"),
)


async def test_what_cannot_be_used_is_refused_in_words_that_an_agent_can_act_on(engine: LoadedEngine) -> None:
    async with agent(EngineClient(engine), mode="legacy") as client:
        for name, arguments, said in REFUSED:
            result = await client.call_tool(name, arguments)
            assert result.is_error, (name, arguments)
            assert result.content[0].text.startswith(said), result.content[0].text
            assert " --" not in result.content[0].text, "a flag of the command line"


async def test_a_prompt_of_too_many_tokens_is_refused(engine: LoadedEngine) -> None:
    async with agent(EngineClient(engine), Limits(prompt_tokens=8), mode="legacy") as client:
        result = await client.call_tool("measure", GIVEN)
        counted = await client.call_tool("count_tokens", {"query": "one two"})
        too_many = await client.call_tool("count_tokens", GIVEN)
    assert result.content[0].text.startswith("too_large: ")
    assert counted.structured_content["result"]["fits"]
    assert not too_many.structured_content["result"]["fits"]
    assert "too many" in too_many.structured_content["summary"]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = sorted({name for tool in TOOLS.values() for name in tool.input_schema["properties"]})


@settings(max_examples=50)
@given(st.sampled_from(sorted(TOOLS)), st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), JUNK))
def test_arguments_of_any_kind_are_read_or_refused(name: str, arguments: dict[str, Any]) -> None:
    """Nothing that JSON can hold is more than a bad argument."""
    with contextlib.suppress(BadInput):
        TOOLS[name].read(arguments)


@pytest.mark.soak
async def test_what_takes_longer_is_answered_by_the_real_engine_too(engine: LoadedEngine) -> None:
    """With held-out queries, so that every control is there."""
    queries = [f"The capital of {country} is" for country in ("France", "Spain")]
    holdout = [f"The capital of {country} is" for country in ("Japan", "Norway")]
    more = {"queries": queries, "holdout": holdout}
    async with agent(EngineClient(engine), mode="legacy") as client:
        compiled = await answered(client, "compile", **GIVEN, **more, budget=2)
        sheet = await answered(client, "exam", **GIVEN, **more, ridge=0.001, rows=["plain"])
    assert compiled["controls"]["n_unseen_tokens"] > 0
    assert compiled["controls"]["kl_without_patch"] is not None
    assert {row["patch"] for row in sheet["result"]["rows"]} == {"per-step", "plain", "random"}
    assert sheet["controls"]["bound"]["r_median"] > sheet["controls"]["random"]["r_median"]
