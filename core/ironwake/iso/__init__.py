"""What is inside an ISO image, read in place: ISO 9660 with Rock Ridge or Joliet, and UDF."""
