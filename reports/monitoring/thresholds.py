"""From where on a check speaks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Thresholds(BaseModel):
    """Every check is 'ok', 'watch' or 'alarm'; an alarm is exit status 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    psi: float = Field(0.25, gt=0, description="a column's PSI that matters")
    ks: float = Field(0.2, gt=0, lt=1, description="a column's KS distance that matters")
    p_value: float = Field(0.1, ge=0, lt=1, description="of a drift among earlier periods, from which on it is rare")
    rank_ic_days: int = Field(60, ge=20, le=250, description="days of the rolling RankIC")
    coverage_watch: float = Field(0.95, gt=0, le=1, description="stocks scored, of the usual number")
    coverage_alarm: float = Field(0.8, gt=0, le=1, description="likewise, to be alarmed")
    spread_alarm: float = Field(0.1, ge=0, lt=1, description="spread of the day's scores, of the usual one")
    memory_mib: float = Field(8192.0, gt=0, description="peak memory of the process")

    def to_yaml(self) -> str:
        """With what each is."""
        lines = [
            f"{name}: {getattr(self, name)}  # {field.description}" for name, field in type(self).model_fields.items()
        ]
        return "\n".join(lines) + "\n"
