"""How well the rules find what truly happens: the whole flow without Kafka, held against the truth."""
