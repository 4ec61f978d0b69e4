SwaggerUIBundle({
  url: "/docs/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  docExpansion: "list",
  operationsSorter: "alpha",
  persistAuthorization: false,
  validatorUrl: null,
});
