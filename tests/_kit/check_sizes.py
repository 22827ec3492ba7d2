"""Fail when a source file is over 400 lines or a function over 60."""

import ast
import sys
from pathlib import Path

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FOLDERS = ("gateway", "worker", "shared", "tests", "examples", "bench", "docs")


def main() -> int:
    """Print every file and function that is too long; return 1 if there is one."""
    root = Path(__file__).resolve().parents[2]
    complaints = []
    for path in sorted(p for folder in FOLDERS for p in (root / folder).rglob("*.py")):
        text = path.read_text()
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            complaints.append(f"{path.relative_to(root)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    complaints.append(f"{path.relative_to(root)}: {node.name} has {length} lines")
    for complaint in complaints:
        sys.stderr.write(complaint + "\n")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
