-- What prepare_db leaves out. The list of sessions walks the movies in its order and finds the sessions of each in the
-- index alone. Not unique: the binary promises nothing of the kind.
CREATE INDEX movies_id ON movies (id);
CREATE INDEX movies_order ON movies (year DESC, name);
CREATE INDEX customers_id ON customers (id);
CREATE INDEX sessions_id ON sessions (id);
CREATE INDEX sessions_movie ON sessions (movie_id, customer_id, id DESC) INCLUDE (start_time);
