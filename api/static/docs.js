// Shows the OpenAPI document, and sends the CSRF token along when an endpoint is tried out.
const place = document.getElementById("swagger-ui");

function csrfToken() {
  const cookie = document.cookie.split("; ").find((part) => part.startsWith("csrf_access_token="));
  return cookie ? decodeURIComponent(cookie.slice("csrf_access_token=".length)) : "";
}

SwaggerUIBundle({
  url: place.dataset.document,
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    const token = csrfToken();
    if (token) {
      request.headers["X-CSRF-TOKEN"] = token;
    }
    return request;
  },
});
