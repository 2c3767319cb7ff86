"""The two tables of the log. Their columns are the fields of :mod:`icltui.storage.database.entries`."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()
SESSION_KEY = ("session_id",)
LOG_KEY = ("session_id", "layer_idx", "token_idx")
"""What there is once, so that to write twice does no harm."""
_HASH = 32
_WORD = 16

SESSION = Table(
    "icl_dynamics_session",
    METADATA,
    Column("session_id", String(_HASH), primary_key=True),
    Column("source", String(_WORD), nullable=False),
    Column("title", Text, nullable=False),
    Column("version", Text),
    Column("model", Text),
    Column("revision", Text),
    Column("fingerprint", Text),
    Column("dtype", Text),
    Column("device", Text),
    Column("dynamics", String(_WORD), nullable=False),
    Column("reference", String(_WORD), nullable=False),
    Column("precision", String(_WORD), nullable=False),
    Column("positions", String(_WORD)),
    Column("unit", Text, nullable=False),
    Column("layers", Text, nullable=False),
    Column("path", String(_WORD)),
    Column("n_units", Integer, nullable=False),
    Column("n_context", Integer),
    Column("n_query", Integer),
    Column("context_text", Text, nullable=False),
    Column("query_text", Text, nullable=False),
    Column("recipe", JSON(none_as_null=True)),
    Column("created_at", DateTime(timezone=True), nullable=False),
)
"""One row a measurement: of which model, and how."""

LOG = Table(
    "icl_dynamics_log",
    METADATA,
    # SQLite numbers rows by itself only where the key is an INTEGER.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("session_id", String(_HASH), ForeignKey(SESSION.c.session_id), nullable=False),
    Column("prompt_hash", String(_HASH), nullable=False),
    Column("layer_idx", Integer, nullable=False),
    Column("token_idx", Integer, nullable=False),
    Column("token_text", Text),
    Column("delta_norm", Double),
    Column("update_frobenius_norm", Double),
    Column("implicit_learning_rate", Double),
    Column("cumulative_update_norm", Double),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Index("icl_dynamics_log_session_layer_token", *LOG_KEY, unique=True),
    Index("icl_dynamics_log_prompt_layer", "prompt_hash", "layer_idx"),
)
"""One row a unit and layer."""
