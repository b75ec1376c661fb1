"""What adapters share: waiting for asynchronous work, caching, retries, logs, running dbt."""
