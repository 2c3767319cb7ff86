"""Self-study: with the context before it, the model writes the queries that its patch is calibrated on.

Enters: a context, through its reader, and a seed. Leaves: queries one by one, each a question about the context, the
next example of a list, or the beginning of a statement. The idea is that of "Cartridges" (arXiv 2506.06266); what is
asked is in :mod:`icltui.engine.compile.study_templates`. Each attempt has its number's own noise, so that a study
that was stopped goes on with the same texts.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from msgspec.structs import replace

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.compile.context_reader import ContextReader
from icltui.engine.compile.list_pattern import ListPattern, find_list_pattern
from icltui.engine.compile.repeat_context import before_value, cut_where_context_decides, joint_of_prose
from icltui.engine.compile.study_file import MOST_ATTEMPTS, Attempt, StudyFile
from icltui.engine.compile.study_templates import (
    GIVEN,
    INSTRUCT,
    PLAIN,
    QUESTION_AFTER,
    QUESTION_BEFORE,
    STATEMENTS,
    StudyTemplate,
)
from icltui.engine.compile.written_text import Dropped, check_query, comparable, without_markup
from icltui.engine.generate.sampling import Sampler
from icltui.engine.prompts.tokenize import Ids
from icltui.values.bounds import SEED
from icltui.values.recipe import Sampling

MOST_TOKENS = 48
"""Of one text that the model writes."""
MOST_ATTEMPTS_PER_QUERY = 4
MOST_SECONDS = 900.0
"""After which a study ends with what it has."""
TEMPERATURE, TOP_P = 0.8, 0.95


@dataclass
class SelfStudy:
    """One study; :meth:`queries` writes it."""

    reader: ContextReader
    seed: int
    file: StudyFile
    on_progress: ProgressCallback
    dropped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        loaded, prompt = self.reader.loaded, self.reader.prompt
        self.pattern = find_list_pattern(prompt.context)
        self.joint = self.pattern.joint(prompt.context) if self.pattern else joint_of_prose(prompt.context)
        self.can_ask = bool(getattr(loaded.tokenizer, "chat_template", None))
        # What the model reads to write is not what its queries will be: it is asked in a turn of a chat where it knows
        # any, and goes on with text that is none.
        self.asked = ContextReader(loaded, replace(prompt, chat=True, bos="auto"))
        self.plain = ContextReader(loaded, replace(prompt, chat=False)) if prompt.chat else self.reader
        self.templates = (INSTRUCT if self.can_ask else PLAIN) + (GIVEN if prompt.chat else STATEMENTS)

    def queries(self, n: int, others: Collection[str] = ()) -> Iterator[str]:
        """Up to ``n`` queries, no two alike, and none among ``others``, which are as :func:`comparable` makes them."""
        made: list[str] = []
        n_told, end = 0, time.monotonic() + MOST_SECONDS
        for number in range(min(MOST_ATTEMPTS_PER_QUERY * n + len(others), MOST_ATTEMPTS)):
            if n_told == n or time.monotonic() > end:
                return
            attempt = self._kept(number, made) or self._made(number, made, n_told, n)
            if attempt.dropped:
                self.dropped[attempt.dropped] += 1
                continue
            made.append(attempt.query)
            if comparable(attempt.query) not in others:
                n_told += 1
                yield attempt.query

    def _kept(self, number: int, made: Sequence[str]) -> Attempt | None:
        """The attempt, if the study was here before, and what it kept is still a query."""
        if number >= len(self.file.attempts):
            return None
        attempt = self.file.attempts[number]
        try:
            if not attempt.dropped:
                check_query(self.reader, attempt.query, made)
        except Dropped:
            self.file.begin_anew_at(number)
            return None
        return attempt

    def _made(self, number: int, made: Sequence[str], n_told: int, n: int) -> Attempt:
        on_token = partial(self.on_progress, "the model writes queries", n_told, n)
        chance = Sampling(temperature=TEMPERATURE, top_p=TOP_P, seed=(self.seed * 1_000_003 + number) % SEED)
        try:
            query = self._query(number, Sampler(chance), on_token)
            check_query(self.reader, query, made)
            attempt = Attempt(query)
        except Dropped as error:
            attempt = Attempt("", error.reason)
        self.file.add(attempt)
        return attempt

    def _query(self, number: int, sampler: Sampler, on_token: Callable[[], object]) -> str:
        if self.pattern is not None:
            return self._example(self.pattern, sampler, on_token)
        template = self.templates[number % len(self.templates)]
        if template.ending == "?":
            return self._question(template, sampler, on_token)
        if template.ending == ".":
            return self._statement(template, sampler, on_token)
        return self.joint + template.begin

    def _example(self, pattern: ListPattern, sampler: Sampler, on_token: Callable[[], object]) -> str:
        """The next example of the list, up to its value."""
        ids = self.plain.before(self.joint.rstrip(" "), n_more=MOST_TOKENS)
        parts = pattern.examples(self.reader.prompt.context)[0].count("\n")
        for text in self._texts(self.plain, ids, (), sampler, on_token):
            item = text.strip()
            begin = pattern.value_begins(item)
            if begin is not None and item.count("\n") >= parts:
                return self.joint + before_value(self.reader, item, begin)
            if len(pattern.parts(text + "x")) > pattern.lines:
                raise Dropped("no example of the list")
        raise Dropped("unfinished")

    def _question(self, template: StudyTemplate, sampler: Sampler, on_token: Callable[[], object]) -> str:
        begin = self._tokens(template.begin)
        if template.ask:
            ids = self.asked.before("\n\n" + template.ask, begin, MOST_TOKENS)
        else:
            ids = self.plain.before(f"\n\n{QUESTION_BEFORE}{template.begin}", n_more=MOST_TOKENS)
        reader = self.asked if template.ask else self.plain
        for text in self._texts(reader, ids, begin, sampler, on_token):
            if "?" in text:
                question = without_markup(text[: text.index("?") + 1])
                return self.joint + (
                    question if self.reader.prompt.chat else QUESTION_BEFORE + question + QUESTION_AFTER
                )
            if "\n" in text.strip():
                raise Dropped("no question")
        raise Dropped("unfinished")

    def _statement(self, template: StudyTemplate, sampler: Sampler, on_token: Callable[[], object]) -> str:
        before = self.joint + template.begin
        ids = self.plain.before(before.rstrip(" "), n_more=MOST_TOKENS)
        text = ""
        for text in self._texts(self.plain, ids, (), sampler, on_token):
            if text.rstrip()[-1:] in (".", "!", "?", "。") or "\n" in text.strip():
                break
        piece = before + (" " if template.begin else "") + text.strip()
        return cut_where_context_decides(self.reader, piece, len(before)) if text.strip() else ""

    def _texts(
        self,
        reader: ContextReader,
        ids: Ids,
        begin: Sequence[int],
        sampler: Sampler,
        on_token: Callable[[], object],
    ) -> Iterator[str]:
        """The text so far, ``begin`` included, after each token that the model writes."""
        row = list(begin)
        for token in islice(reader.write(ids, sampler, on_token), MOST_TOKENS):
            row.append(token)
            yield self.reader.loaded.tokenizer.decode(row)

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.reader.loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
