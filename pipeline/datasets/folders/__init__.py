"""What annotation tools and people leave in a folder: one file for each layout, all of them found as the same `DataSet`."""
