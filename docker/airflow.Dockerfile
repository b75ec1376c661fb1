# Airflow and the packages that the steps of the DAGs import, built on Airflow's official image. Faust is in the platform
# image only, because it needs an older croniter than this Airflow.
FROM apache/airflow:3.3.2-python3.12

USER root
RUN install --directory --owner=airflow --group=root /opt/paceline /opt/paceline/var
USER airflow
WORKDIR /opt/paceline
COPY --chown=airflow:root requirements-airflow.txt pyproject.toml README.md ./
RUN pip install --no-cache-dir -r requirements-airflow.txt

COPY --chown=airflow:root . .
# Cosmos creates its tasks from the manifest that dbt writes here.
RUN pip install --no-cache-dir --no-deps -e . \
    && dbt --quiet parse --project-dir dbt --profiles-dir dbt

# Airflow's entrypoint would prefix every command with `airflow`.
ENTRYPOINT ["/usr/bin/dumb-init", "--"]
CMD ["airflow", "version"]
