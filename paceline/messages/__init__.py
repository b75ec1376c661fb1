"""What is on the logs: message structs with stable tags, and their two forms (msgpack and JSON).

`inbound` and `outbound` hold the structs; `log_form` is their form on Kafka, `json_form` that of files
and of the API. Both forms decode to the same structs, whose numbers are scaled integers.
"""
