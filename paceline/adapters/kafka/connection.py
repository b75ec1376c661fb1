"""The description of a connection to Kafka in the words of each client library."""

import ssl
from typing import Any

from paceline.core.connections import KafkaConnection


def for_librdkafka(kafka: KafkaConnection) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bootstrap.servers": kafka.brokers,
        "security.protocol": kafka.security_protocol,
    }
    if kafka.signs_in:
        options["sasl.mechanism"] = kafka.sasl_mechanism
        options["sasl.username"] = kafka.sasl_username
        options["sasl.password"] = kafka.sasl_password.reveal()
    if kafka.encrypted:
        files = {
            "ssl.ca.location": kafka.ca_file,
            "ssl.certificate.location": kafka.certificate_file,
            "ssl.key.location": kafka.key_file,
        }
        options |= {name: file for name, file in files.items() if file}
    return options


def for_aiokafka(kafka: KafkaConnection) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.brokers,
        "security_protocol": kafka.security_protocol,
        "ssl_context": ssl_context(kafka),
    }
    if kafka.signs_in:
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = kafka.sasl_password.reveal()
    return options


def ssl_context(kafka: KafkaConnection) -> ssl.SSLContext | None:
    """Checks the brokers' certificates and host names; None without encryption."""
    if not kafka.encrypted:
        return None
    context = ssl.create_default_context(cafile=kafka.ca_file or None)
    if kafka.certificate_file:
        context.load_cert_chain(kafka.certificate_file, kafka.key_file or None)
    return context
