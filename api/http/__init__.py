"""What all routes share: bridge, middleware, envelope, validation, sessions, limits, the OpenAPI document."""
