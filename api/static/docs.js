// Shows the OpenAPI document. Requests from "Try it out" carry the CSRF token.
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
