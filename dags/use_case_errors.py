"""Shows broken use cases in the Airflow UI as this file's import error; the other use cases' Dags
stay.

No Dag is made here.
"""

from include.errors import ConfigError
from include.use_cases.loader import load_all

if _broken := load_all().broken:
    raise ConfigError("\n\n".join(str(error) for error in _broken.values()))
