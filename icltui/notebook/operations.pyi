# Made from the table of options by python -m tests.docs.reference.
# ruff: noqa: E501
# fmt: off

from collections.abc import Mapping, Sequence
from typing import Literal

from icltui.api.engine import OnEvent
from icltui.values import (
    AttentionHeads,
    Compilation,
    Exam,
    Generation,
    LossCurves,
    Measurement,
    ModelInfo,
    Verification,
)

def describe(
    model: object,
    tokenizer: object = None,
    *,
    sites: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
) -> ModelInfo:
    """The model's fingerprint, layers, dtype and device, the layers on which the patch is not exact, and why.

    Args: as those of ``icltui.measure``.

    Raises:
        BadInput: something that is no model or no tokenizer.
        ModelError: a model that no proof accepts, or that cannot be loaded.
    """

def measure(
    model: object,
    tokenizer: object = None,
    context: str = "",
    query: str = "",
    *,
    unit: str = "token",
    bos: Literal["auto", "always", "never"] = "auto",
    chat: bool = False,
    positions: Literal["reset", "keep"] = "reset",
    layers: str = "all",
    dynamics: Literal["grow", "shrink", "drop"] = "grow",
    reference: Literal["free", "local"] = "free",
    precision: Literal["model", "float32"] = "model",
    pairs: bool = False,
    sites: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
) -> Measurement:
    """What each unit of a context does at each layer: ‖δ‖, ‖ΔW‖, learning rates.

    Args:
        model: a model of transformers in memory, which stays as it is; or a model's name or folder, or
            'demo'
        tokenizer (default None): the model's tokenizer; none where a name is given
        context (str, default ''): the context
        query (str, default ''): the query after it
        unit (str, default 'token'): token, line, sentence, a separator to cut the context at, or auto:
            tokens up to 200, else sentences; sentence/3,7 opens two of them into their tokens
        bos ('auto' | 'always' | 'never', default 'auto'): tokens before the text, kept in both runs
            (default auto: the tokenizer's own, else one where the model has an attention sink)
        chat (bool, default False): context and query as one user turn of the tokenizer's chat template,
            its header kept in both runs
        positions ('reset' | 'keep', default 'reset'): the query right after what is left of the
            context, or where the full context puts it
        layers (str, default 'all'): all, last, or a list such as 0,3,5-8
        dynamics ('grow' | 'shrink' | 'drop', default 'grow'): units arrive from the left, leave from
            the left, or leave one at a time
        reference ('free' | 'local', default 'free'): a missing unit was never there, or only each
            layer's own attention may not see it
        precision ('model' | 'float32', default 'model'): compute in the model's own numbers, or in
            float32 with the same weights
        pairs (bool, default False): compare every unit with every other (not in csv)
        sites (Mapping[str, str] | None, default None): modules that are not found automatically, such
            as {'mlp': 'model.layers.{layer}.mlp'}
        on_event (OnEvent | None, default None): called with every event of the engine as it comes; what
            it raises ends the work

    Raises:
        BadInput: a value that cannot be, or something that is no model or no tokenizer.
        ModelError: a model that no proof accepts, or that cannot be loaded.
        EngineError: the engine failed while it worked, for want of memory for instance.
    """

def generate(
    model: object,
    tokenizer: object = None,
    context: str = "",
    query: str = "",
    *,
    mode: Literal["per-step", "frozen", "compiled"] = "per-step",
    components: Literal["both", "weights", "shift"] = "both",
    carrier: Literal["output", "bias"] = "output",
    alpha: float | Literal["search", "jvp"] = 1.0,
    layer_alphas: str = "",
    n_fitted: int = 8,
    rank: int | None = None,
    ridge: float = 0.0,
    cross_fit: bool = False,
    metric: Literal["plain", "ordinary"] = "plain",
    epsilon: float = 0.01,
    background: str = "",
    queries: Sequence[str] = (),
    holdout: Sequence[str] = (),
    curves: bool = False,
    control: Literal["none", "random", "shuffled", "other"] = "none",
    other_context: str = "",
    n_tokens: int = 12,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
    unit: str = "token",
    bos: Literal["auto", "always", "never"] = "auto",
    chat: bool = False,
    positions: Literal["reset", "keep"] = "reset",
    layers: str = "all",
    sites: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
) -> Generation:
    """Text with the context, without it, and without it through the patch ΔW.

    Args:
        model: a model of transformers in memory, which stays as it is; or a model's name or folder, or
            'demo'
        tokenizer (default None): the model's tokenizer; none where a name is given
        context (str, default ''): the context
        query (str, default ''): the query after it
        mode ('per-step' | 'frozen' | 'compiled', default 'per-step'): a new patch per token; the
            query's last token's, held; or one for many tokens at once, held
        components ('both' | 'weights' | 'shift', default 'both'): ΔW and Δb, or one alone
        carrier ('output' | 'bias', default 'output'): held: the shift as a patch of the down
            projection, or as a constant, which ends in repetition (with mode frozen or compiled and a
            shift)
        alpha (float | 'search' | 'jvp', default 1.0): strength, 0 to 2; search: by line search; jvp: in
            closed form to first order
        layer_alphas (str, default ''): strengths of single layers, which the strength of all
            multiplies, such as 3=0.5,7=0 (default: each 1)
        n_fitted (int, default 8): compiled: tokens of the contextual continuation to fit, besides the
            query's own (with mode compiled and something to solve)
        rank (int | None, default None): compiled: cut the patch to this rank by SVD (with mode compiled
            and something to solve)
        ridge (float, default 0.0): compiled: penalty, as a share of the mean square (default 0: exact)
            (with mode compiled and something to solve)
        cross_fit (bool, default False): compiled on queries: fit each a second time, as it is through
            the patch that is made without it (with mode compiled and two or more queries)
        metric ('plain' | 'ordinary', default 'plain'): held: the patch that is least in its norm, or in
            its effect on ordinary text (with mode frozen or compiled and something to solve)
        epsilon (float, default 0.01): ordinary: how far the metric is from ordinary text alone, as a
            share of the mean square (with mode frozen or compiled, something to solve and metric
            ordinary)
        background (str, default ''): ordinary: a text file of what is ordinary (default: the model's
            own, else one that comes with the program) (with mode frozen or compiled, something to solve
            and metric ordinary)
        queries (Sequence[str], default ()): compiled: fit on these queries, not on query (with mode
            compiled and something to solve)
        holdout (Sequence[str], default ()): other queries after the same context
        curves (bool, default False): vary strength, layers from both ends, and calibration queries
        control ('none' | 'random' | 'shuffled' | 'other', default 'none'): instead of the context's
            patch: a random one of equal norms, the shuffled or another context's
        other_context (str, default ''): for control other (with control other)
        n_tokens (int, default 12): tokens per lane
        temperature (float, default 0.0): of sampling; default 0: greedy
        top_k (int | None, default None): draw from the K most probable tokens
        top_p (float, default 1.0): draw from the most probable that reach P
        seed (int, default 0): of sampling, one noise for all lanes, and of the controls
        unit (str, default 'token'): token, line, sentence, a separator to cut the context at, or auto:
            tokens up to 200, else sentences; sentence/3,7 opens two of them into their tokens
        bos ('auto' | 'always' | 'never', default 'auto'): tokens before the text, kept in both runs
            (default auto: the tokenizer's own, else one where the model has an attention sink)
        chat (bool, default False): context and query as one user turn of the tokenizer's chat template,
            its header kept in both runs
        positions ('reset' | 'keep', default 'reset'): the query right after what is left of the
            context, or where the full context puts it
        layers (str, default 'all'): all, last, or a list such as 0,3,5-8
        sites (Mapping[str, str] | None, default None): modules that are not found automatically, such
            as {'mlp': 'model.layers.{layer}.mlp'}
        on_event (OnEvent | None, default None): called with every event of the engine as it comes; what
            it raises ends the work

    Raises:
        BadInput: a value that cannot be, or something that is no model or no tokenizer.
        ModelError: a model that no proof accepts, or that cannot be loaded.
        EngineError: the engine failed while it worked, for want of memory for instance.
    """

def verify(
    model: object,
    tokenizer: object = None,
    context: str = "",
    query: str = "",
    *,
    seed: int = 0,
    unit: str = "token",
    bos: Literal["auto", "always", "never"] = "auto",
    chat: bool = False,
    positions: Literal["reset", "keep"] = "reset",
    layers: str = "all",
    sites: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
) -> Verification:
    """Whether the patch is exact on this prompt, beside controls and the noise floor.

    Args:
        model: a model of transformers in memory, which stays as it is; or a model's name or folder, or
            'demo'
        tokenizer (default None): the model's tokenizer; none where a name is given
        context (str, default ''): the context
        query (str, default ''): the query after it
        seed (int, default 0): of the control patches
        unit (str, default 'token'): token, line, sentence, a separator to cut the context at, or auto:
            tokens up to 200, else sentences; sentence/3,7 opens two of them into their tokens
        bos ('auto' | 'always' | 'never', default 'auto'): tokens before the text, kept in both runs
            (default auto: the tokenizer's own, else one where the model has an attention sink)
        chat (bool, default False): context and query as one user turn of the tokenizer's chat template,
            its header kept in both runs
        positions ('reset' | 'keep', default 'reset'): the query right after what is left of the
            context, or where the full context puts it
        layers (str, default 'all'): all, last, or a list such as 0,3,5-8
        sites (Mapping[str, str] | None, default None): modules that are not found automatically, such
            as {'mlp': 'model.layers.{layer}.mlp'}
        on_event (OnEvent | None, default None): called with every event of the engine as it comes; what
            it raises ends the work

    Raises:
        BadInput: a value that cannot be, or something that is no model or no tokenizer.
        ModelError: a model that no proof accepts, or that cannot be loaded.
        EngineError: the engine failed while it worked, for want of memory for instance.
    """

def curves(
    model: object,
    tokenizer: object = None,
    context: str = "",
    query: str = "",
    *,
    seed: int = 0,
    unit: str = "token",
    bos: Literal["auto", "always", "never"] = "auto",
    chat: bool = False,
    positions: Literal["reset", "keep"] = "reset",
    own_texts: int = 0,
    own_tokens: int = 512,
    sites: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
) -> LossCurves:
    """The loss at every position with context and without, and the ICL score.

    Args:
        model: a model of transformers in memory, which stays as it is; or a model's name or folder, or
            'demo'
        tokenizer (default None): the model's tokenizer; none where a name is given
        context (str, default ''): the context
        query (str, default ''): the query after it
        seed (int, default 0): of the model's own texts and of the intervals
        unit (str, default 'token'): token, line, sentence, a separator to cut the context at, or auto:
            tokens up to 200, else sentences; sentence/3,7 opens two of them into their tokens
        bos ('auto' | 'always' | 'never', default 'auto'): tokens before the text, kept in both runs
            (default auto: the tokenizer's own, else one where the model has an attention sink)
        chat (bool, default False): context and query as one user turn of the tokenizer's chat template,
            its header kept in both runs
        positions ('reset' | 'keep', default 'reset'): the query right after what is left of the
            context, or where the full context puts it
        own_texts (int, default 0): texts that the model writes itself, to compare with (default 0:
            none)
        own_tokens (int, default 512): the most tokens that are compared with them (with own_texts)
        sites (Mapping[str, str] | None, default None): modules that are not found automatically, such
            as {'mlp': 'model.layers.{layer}.mlp'}
        on_event (OnEvent | None, default None): called with every event of the engine as it comes; what
            it raises ends the work

    Raises:
        BadInput: a value that cannot be, or something that is no model or no tokenizer.
        ModelError: a model that no proof accepts, or that cannot be loaded.
        EngineError: the engine failed while it worked, for want of memory for instance.
    """

def heads(
    model: object,
    tokenizer: object = None,
    context: str = "",
    query: str = "",
    *,
    seed: int = 0,
    unit: str = "token",
    bos: Literal["auto", "always", "never"] = "auto",
    chat: bool = False,
    positions: Literal["reset", "keep"] = "reset",
    layers: str = "all",
    n_random: int = 50,
    n_seeds: int = 8,
    sites: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
) -> AttentionHeads:
    """Induction heads, and δ by head and unit of the context.

    Args:
        model: a model of transformers in memory, which stays as it is; or a model's name or folder, or
            'demo'
        tokenizer (default None): the model's tokenizer; none where a name is given
        context (str, default ''): the context
        query (str, default ''): the query after it
        seed (int, default 0): of the first random sequence
        unit (str, default 'token'): token, line, sentence, a separator to cut the context at, or auto:
            tokens up to 200, else sentences; sentence/3,7 opens two of them into their tokens
        bos ('auto' | 'always' | 'never', default 'auto'): tokens before the text, kept in both runs
            (default auto: the tokenizer's own, else one where the model has an attention sink)
        chat (bool, default False): context and query as one user turn of the tokenizer's chat template,
            its header kept in both runs
        positions ('reset' | 'keep', default 'reset'): the query right after what is left of the
            context, or where the full context puts it
        layers (str, default 'all'): all, last, or a list such as 0,3,5-8
        n_random (int, default 50): random tokens that are repeated
        n_seeds (int, default 8): random sequences
        sites (Mapping[str, str] | None, default None): modules that are not found automatically, such
            as {'mlp': 'model.layers.{layer}.mlp'}
        on_event (OnEvent | None, default None): called with every event of the engine as it comes; what
            it raises ends the work

    Raises:
        BadInput: a value that cannot be, or something that is no model or no tokenizer.
        ModelError: a model that no proof accepts, or that cannot be loaded.
        EngineError: the engine failed while it worked, for want of memory for instance.
    """

def compile(
    model: object,
    tokenizer: object = None,
    context: str = "",
    query: str = "",
    *,
    components: Literal["both", "weights", "shift"] | None = None,
    carrier: Literal["output", "bias"] = "output",
    alpha: float | Literal["search", "jvp"] | None = None,
    n_fitted: int = 8,
    rank: int | None = None,
    ridge: float | None = None,
    cross_fit: bool | None = None,
    metric: Literal["plain", "ordinary"] | None = None,
    epsilon: float | None = None,
    background: str = "",
    queries: Sequence[str] = (),
    holdout: Sequence[str] = (),
    seed: int = 0,
    bos: Literal["auto", "always", "never"] = "auto",
    chat: bool = False,
    positions: Literal["reset", "keep"] = "reset",
    layers: str | None = None,
    calibrate: Literal["user", "repeat", "self"] | None = None,
    n_queries: int = 16,
    budget: float = 60.0,
    force: bool = False,
    sites: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
) -> Compilation:
    """One patch for many queries, chosen by leave-one-out, and how far it carries.

    Args:
        model: a model of transformers in memory, which stays as it is; or a model's name or folder, or
            'demo'
        tokenizer (default None): the model's tokenizer; none where a name is given
        context (str, default ''): the context
        query (str, default ''): one more unseen query
        components ('both' | 'weights' | 'shift' | None, default None): ΔW and Δb, or one alone (not
            given: chosen, beginning at both)
        carrier ('output' | 'bias', default 'output'): held: the shift as a patch of the down
            projection, or as a constant, which ends in repetition (with mode frozen or compiled and a
            shift)
        alpha (float | 'search' | 'jvp' | None, default None): strength, 0 to 2; search: by line search;
            jvp: in closed form to first order (not given: chosen, beginning at 1)
        n_fitted (int, default 8): compiled: tokens of the contextual continuation to fit, besides the
            query's own (with mode compiled and something to solve)
        rank (int | None, default None): compiled: cut the patch to this rank by SVD (not given: chosen,
            beginning at 8) (with mode compiled and something to solve)
        ridge (float | None, default None): compiled: penalty, as a share of the mean square (not given:
            chosen, beginning at 3) (with mode compiled and something to solve)
        cross_fit (bool | None, default None): compiled on queries: fit each a second time, as it is
            through the patch that is made without it (not given: chosen, beginning at yes) (with mode
            compiled and two or more queries)
        metric ('plain' | 'ordinary' | None, default None): held: the patch that is least in its norm,
            or in its effect on ordinary text (not given: chosen, beginning at ordinary) (with mode
            frozen or compiled and something to solve)
        epsilon (float | None, default None): ordinary: how far the metric is from ordinary text alone,
            as a share of the mean square (not given: chosen, beginning at 0.001) (with mode frozen or
            compiled, something to solve and metric ordinary)
        background (str, default ''): ordinary: a text file of what is ordinary (default: the model's
            own, else one that comes with the program) (with mode frozen or compiled, something to solve
            and metric ordinary)
        queries (Sequence[str], default ()): calibration queries: the patch is made from them (with mode
            compiled and something to solve)
        holdout (Sequence[str], default ()): unseen queries: the patch is tested on them
        seed (int, default 0): of what the model writes
        bos ('auto' | 'always' | 'never', default 'auto'): tokens before the text, kept in both runs
            (default auto: the tokenizer's own, else one where the model has an attention sink)
        chat (bool, default False): context and query as one user turn of the tokenizer's chat template,
            its header kept in both runs
        positions ('reset' | 'keep', default 'reset'): the query right after what is left of the
            context, or where the full context puts it
        layers (str | None, default None): all, or a list such as 0,3,5-8 (not given: chosen, beginning
            at all)
        calibrate ('user' | 'repeat' | 'self' | None, default None): where the calibration queries come
            from: queries; the context in pieces; or the model, which writes them in the context
            (default: user with queries, else self)
        n_queries (int, default 16): calibration queries to make of the context
        budget (float, default 60.0): seconds that the choice may take
        force (bool, default False): write it even if it would harm, and mark it
        sites (Mapping[str, str] | None, default None): modules that are not found automatically, such
            as {'mlp': 'model.layers.{layer}.mlp'}
        on_event (OnEvent | None, default None): called with every event of the engine as it comes; what
            it raises ends the work

    Raises:
        BadInput: a value that cannot be, or something that is no model or no tokenizer.
        ModelError: a model that no proof accepts, or that cannot be loaded.
        EngineError: the engine failed while it worked, for want of memory for instance.
    """

def exam(
    model: object,
    tokenizer: object = None,
    context: str = "",
    query: str = "",
    *,
    components: Literal["both", "weights", "shift"] = "both",
    carrier: Literal["output", "bias"] = "output",
    alpha: float | Literal["search", "jvp"] = 1.0,
    n_fitted: int = 8,
    rank: int | None = None,
    ridge: float = 0.0,
    cross_fit: bool = False,
    metric: Literal["plain", "ordinary"] = "plain",
    epsilon: float = 0.01,
    background: str = "",
    queries: Sequence[str] = (),
    holdout: Sequence[str] = (),
    seed: int = 0,
    bos: Literal["auto", "always", "never"] = "auto",
    chat: bool = False,
    positions: Literal["reset", "keep"] = "reset",
    layers: str = "all",
    budget: float = 30.0,
    rows: Sequence[Literal["per-step", "plain", "ordinary", "frozen", "mean-shift", "shift-alone", "random", "distilled", "joined"]] = ("per-step", "plain", "ordinary", "frozen", "mean-shift", "shift-alone", "random"),
    answers: Mapping[str, str] = {},
    sites: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
) -> Exam:
    """Every way from this context to weights, on one sheet, beside controls.

    Args:
        model: a model of transformers in memory, which stays as it is; or a model's name or folder, or
            'demo'
        tokenizer (default None): the model's tokenizer; none where a name is given
        context (str, default ''): the context
        query (str, default ''): the query whose patch the row frozen is (default: the first of the
            calibration queries)
        components ('both' | 'weights' | 'shift', default 'both'): ΔW and Δb, or one alone
        carrier ('output' | 'bias', default 'output'): held: the shift as a patch of the down
            projection, or as a constant, which ends in repetition (with mode frozen or compiled and a
            shift)
        alpha (float | 'search' | 'jvp', default 1.0): strength, 0 to 2; search: by line search; jvp: in
            closed form to first order
        n_fitted (int, default 8): compiled: tokens of the contextual continuation to fit, besides the
            query's own (with mode compiled and something to solve)
        rank (int | None, default None): compiled: cut the patch to this rank by SVD (with mode compiled
            and something to solve)
        ridge (float, default 0.0): compiled: penalty, as a share of the mean square (default 0: exact)
            (with mode compiled and something to solve)
        cross_fit (bool, default False): compiled on queries: fit each a second time, as it is through
            the patch that is made without it (with mode compiled and two or more queries)
        metric ('plain' | 'ordinary', default 'plain'): held: the patch that is least in its norm, or in
            its effect on ordinary text (with mode frozen or compiled and something to solve)
        epsilon (float, default 0.01): ordinary: how far the metric is from ordinary text alone, as a
            share of the mean square (with mode frozen or compiled, something to solve and metric
            ordinary)
        background (str, default ''): ordinary: a text file of what is ordinary (default: the model's
            own, else one that comes with the program) (with mode frozen or compiled, something to solve
            and metric ordinary)
        queries (Sequence[str], default ()): calibration queries: patches are made from them (with mode
            compiled and something to solve)
        holdout (Sequence[str], default ()): unseen queries: each patch is tested on them
        seed (int, default 0): of the controls, and of the intervals' resamples
        bos ('auto' | 'always' | 'never', default 'auto'): tokens before the text, kept in both runs
            (default auto: the tokenizer's own, else one where the model has an attention sink)
        chat (bool, default False): context and query as one user turn of the tokenizer's chat template,
            its header kept in both runs
        positions ('reset' | 'keep', default 'reset'): the query right after what is left of the
            context, or where the full context puts it
        layers (str, default 'all'): all, last, or a list such as 0,3,5-8
        budget (float, default 30.0): seconds that choosing the ordinary patch may take
        rows (Sequence['per-step' | 'plain' | 'ordinary' | 'frozen' | 'mean-shift' | 'shift-alone' |
            'random' | 'distilled' | 'joined'], default ('per-step', 'plain', 'ordinary', 'frozen',
            'mean-shift', 'shift-alone', 'random')): the patches to examine, of per-step, plain,
            ordinary, frozen, mean-shift, shift-alone, random, distilled, joined (default: all but the
            last two)
        answers (Mapping[str, str], default {}): true answers by query; a query without one is right
            where it is answered as with the context
        sites (Mapping[str, str] | None, default None): modules that are not found automatically, such
            as {'mlp': 'model.layers.{layer}.mlp'}
        on_event (OnEvent | None, default None): called with every event of the engine as it comes; what
            it raises ends the work

    Raises:
        BadInput: a value that cannot be, or something that is no model or no tokenizer.
        ModelError: a model that no proof accepts, or that cannot be loaded.
        EngineError: the engine failed while it worked, for want of memory for instance.
    """
