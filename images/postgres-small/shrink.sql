-- A hundredth of the rows, whoever made them: what is over goes, and who pointed there points at what stays.
BEGIN;
DELETE FROM sessions WHERE id > 50000;
UPDATE sessions SET customer_id = (customer_id - 1) % 5000 + 1 WHERE customer_id > 5000;
UPDATE sessions SET movie_id = (movie_id - 1) % 290 + 1 WHERE movie_id > 290;
DELETE FROM customers WHERE id > 5000;
DELETE FROM movies WHERE id > 290;
COMMIT;
VACUUM FULL;
