"""Files that survive: written whole, with checksums and locks; the only durable writer."""
