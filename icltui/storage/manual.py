"""The manual that comes with the package: Markdown pages, one for each topic."""

from pathlib import Path

from icltui.values.errors import BadInput

DOCS = Path(__file__).resolve().parents[1] / "docs"
"""Where the pages are."""

TOPICS = {
    "tutorial": "from the first start to a patch of your own",
    "screen": "colours, table, layers, heatmap, plots",
    "runs": "editors, lanes, strength, the tree of runs",
    "remote": "the model on another machine: ssh and Slurm",
    "models": "what is loaded and how, large models, the embedded one",
    "export": "sessions, replay, reports, tables, figures, files",
    "python": "the operations on a model that you hold, and their tables",
    "notebook": "a patch in a model of your own, sessions, pictures",
    "browse": "rows of a sweep or study: filter, sort, group, plot",
    "terminal": "terminals, the clipboard, settings",
    "commands": "every command and option",
    "keys": "every key of the explorer, and how to change it",
    "measures": "every number of the table, with its formula",
    "errors": "every error: code, exit code, HTTP status",
    "maths": "how a context becomes weights, and what follows",
    "verification": "what is proved, controls, noise floor, tautologies",
    "patches": "patches that generate text, what they are worth, exports",
    "curves-heads": "loss by position, ICL score, induction heads, δ by head",
    "compile": "a context becomes one adapter, chosen, tested, or refused",
    "carrying-over": "what makes a patch answer queries that it has not seen",
    "exam": "every patch of a context put to one test, and its reading",
    "families": "the exam on families of tasks: words, forms, documents",
    "patch-maths": "how a patch of many tokens is solved, left out, and judged",
    "sweep": "your own prompts, many models and recipes, resumable",
    "sql": "what to ask a folder of rows in SQL, with DuckDB",
    "database": "a log of measurements in SQLite or PostgreSQL",
    "http": "the operations for any program, with curl or any client",
    "agents": "the operations as tools for agents, with controls",
    "studies": "questions put to many prompts, and how to run them",
    "study-few-shot": "how updates accumulate over examples",
    "study-relevance": "whether the size of an update measures a context",
    "study-steering": "how much of a context ΔW at one layer replaces",
    "study-exactness": "whether every layer gives what the context gives",
    "study-deliberation": "whether updates of several opinions add up",
    "study-override": "when a context overrides what the model knows",
    "study-functions": "linear functions learned in context, and gradient descent",
    "study-finetune": "examples in the context against training on them",
    "study-training": "when a model begins to learn in context",
    "performance": "what measuring, decoding and the screen cost",
    "architecture": "the folders of the code, the laws, three walks",
    "changelog": "what changed from version to version",
}
"""Each topic and what its page is about, in the order in which a newcomer reads them."""


def page(topic: str) -> str:
    """The Markdown of the topic's page.

    Raises:
        BadInput: there is no such topic.
    """
    if topic not in TOPICS:
        raise BadInput(f"the manual has no topic {topic!r}: choose one of {', '.join(TOPICS)}")
    return (DOCS / f"{topic}.md").read_text("utf-8")
