"""From one file to a use case: what `make new` decides, each decision with its reason.

- `raw`: the file's rows as they are, all or a sample; `delimited`, `json_lines` and `parquet` say
  what a file of each kind holds.
- `cells`: the type of a column of text, and the rules by which it is read; `numbers` and `dates`
  know how these are written.
- `table`: the types and rules of all columns together, and their values.
- `key`, `time`, `outcome`, `features`: what names a row, what orders rows, what is predicted, and
  from what.
- `plan`: all decisions; `yaml_files` and `suite` write them, `placing` lands the file.

It stands above the phases, and reads files by the same functions as ingestion.
"""
