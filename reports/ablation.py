from pathlib import Path


def write_report(storage, studies, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
