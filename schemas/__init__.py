"""The contract: what is on the wire, how it is encoded, encrypted and recognised again."""
