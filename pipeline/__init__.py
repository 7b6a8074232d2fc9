"""The rooms of the house: one folder, one noun of the field, one DVC dependency. Nothing is imported here."""
