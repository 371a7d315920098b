"""The API's requests and answers as structs, from which it is described as well."""
