"""How pipelines cut models, a file each; its name is the partition's in scenarios, with - for _."""
