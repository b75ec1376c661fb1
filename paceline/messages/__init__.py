"""The messages on the logs: structs with stable tags, and their two encodings (msgpack and JSON).

`inbound` and `outbound` hold the structs. `log_form` is the encoding on Kafka, `json_form` the one in files
and in the API. Both decode to the same structs, whose numbers are scaled integers.
"""
