-- Run in a database that graphile-migrate has just made (reset, and the shadow database): see afterReset in .gmrc.
create extension if not exists timescaledb;
