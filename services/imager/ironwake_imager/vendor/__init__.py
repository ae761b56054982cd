"""Media of vendors: ISO images and files that are downloaded or brought, checked, and published."""
