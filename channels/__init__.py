"""Ways out: addresses, texts and idempotency keys. A channel never sees a case, a policy or the database."""
