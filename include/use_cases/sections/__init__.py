"""The sections of a `use_case.yaml`: strict, frozen pydantic models, each read by a phase."""
