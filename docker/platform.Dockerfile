# The image for the API, stream workers, sandbox and docs site, built on the official Python image. Airflow has its own.
FROM python:3.12-slim AS packages

# This is the user id of `airflow` in Airflow's image: both images write to the volume `var`.
RUN useradd --uid 50000 --gid 0 --create-home paceline \
    && install --directory --owner=paceline --group=root /opt/paceline /opt/paceline/var
WORKDIR /opt/paceline
COPY requirements-platform.txt pyproject.toml README.md ./
RUN pip install --no-cache-dir -r requirements-platform.txt

# The compiled engine. The C compiler stays in this stage.
FROM packages AS compiler

RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY paceline paceline
# Prints the reason and fails if it cannot compile.
RUN PACELINE_ENGINE=compiled \
    python -c "from paceline.build import engine_build; print(engine_build.install()); import paceline.engine"

FROM packages

COPY --chown=paceline:root . .
COPY --from=compiler /usr/local/share/paceline /usr/local/share/paceline
RUN pip install --no-cache-dir --no-deps -e .
USER paceline
# Writes dbt's manifest and the first page of `paceline docs`. The last line fails unless a build of exactly these
# sources is found.
RUN python -c "import sys; from paceline.local.stack import dbt; sys.exit(not dbt.install())" \
    && PACELINE_ENGINE=compiled python -c "import paceline.engine"

CMD ["paceline", "--help"]
