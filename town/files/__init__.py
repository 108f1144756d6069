"""Files read and written safely: no links, no half of one, and taken back where a step fails."""
