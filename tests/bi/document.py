"""docs/bi.md, as the tests read it."""

import re

from tests.support import ROOT

DOCUMENT = (ROOT / "docs/bi.md").read_text()
QUERIES = dict(re.findall(r"^### ([^\n]+)\n(?:(?!^#).)*?^```sql\n(.+?)^```", DOCUMENT, re.MULTILINE | re.DOTALL))
[PYTHON, POLARS] = re.findall(r"^```python\n(.+?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
[DUCKDB] = re.findall(r"^```\n(INSTALL postgres;\n.+?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
