// Swagger UI over this service's own description.

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // else a service with a public name is reported to a validator elsewhere
});
