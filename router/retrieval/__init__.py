"""Finding the answer to a question: questions and answers from files, and a small lexical index over them."""
