"""Views over our tables, for whoever asks the database itself: metrics, daily RankIC, costs.

They say nothing that the tables do not: what is stored once cannot disagree with itself.
"""

from __future__ import annotations

import sqlalchemy as sa

SQLITE = {
    "sweep_metrics": """
        SELECT e.study, e.number, e.epoch, e.fold,
               CAST(replace(m.key, rtrim(m.key, '0123456789'), '') AS INTEGER) AS horizon,
               rtrim(rtrim(m.key, '0123456789'), '/') AS metric, m.value AS value
        FROM sweep_epochs e, json_each(e.result, '$.metrics') m""",
    "sweep_daily_rank_ic": """
        SELECT e.study, e.number, e.epoch, e.fold, d.key AS day, h.value AS horizon, v.value AS rank_ic
        FROM sweep_epochs e, json_each(e.result, '$.daily_rank_ic') d, json_each(d.value) v, json_each(e.horizons) h
        WHERE h.key = v.key""",
}
POSTGRESQL = {
    "sweep_metrics": """
        SELECT e.study, e.number, e.epoch, e.fold, CAST(substring(m.key FROM '[0-9]+$') AS INTEGER) AS horizon,
               regexp_replace(m.key, '/[0-9]+$', '') AS metric, CAST(m.value AS DOUBLE PRECISION) AS value
        FROM sweep_epochs e, json_each_text(e.result -> 'metrics') m""",
    "sweep_daily_rank_ic": """
        SELECT e.study, e.number, e.epoch, e.fold, d.key AS day, CAST(h.value AS INTEGER) AS horizon,
               CAST(v.value AS DOUBLE PRECISION) AS rank_ic
        FROM sweep_epochs e, json_each(e.result -> 'daily_rank_ic') d,
             json_array_elements_text(d.value) WITH ORDINALITY v(value, place),
             json_array_elements_text(e.horizons) WITH ORDINALITY h(value, place)
        WHERE h.place = v.place""",
}
EITHER = {
    "sweep_costs": """
        SELECT study, count(DISTINCT number) AS trials, count(*) AS attempts, sum(wall_seconds) AS wall_seconds,
               sum(train_seconds) AS train_seconds, sum(gpu_seconds) AS gpu_seconds
        FROM sweep_attempts GROUP BY study""",
}


def create_views(connection: sa.Connection) -> None:
    """Creates them, in the place of older ones."""
    own = SQLITE if connection.dialect.name == "sqlite" else POSTGRESQL
    for name, query in (own | EITHER).items():
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {query}")
