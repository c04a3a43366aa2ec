// Swagger UI over this service's own description.

SwaggerUIBundle({
  url: new URL("../openapi.json", document.currentScript.src).href, // wherever the service lies
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // else a service with a public name is reported to a validator elsewhere
});
