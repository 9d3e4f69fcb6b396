"""Link-rate models, a file each; its name is the model's in scenarios and catalogues."""
