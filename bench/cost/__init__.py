"""What a million tokens costs on a serverless platform, by how many requests come."""
