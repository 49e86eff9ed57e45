"""The same trivial job (decode, map, encode) on other stream libraries, beside ours: `make bench-peers`."""
