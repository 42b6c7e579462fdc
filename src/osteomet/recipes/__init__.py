"""Recipe files (TOML), one per study or model; `osteomet.training.recipe` reads them."""
