//! Searches that name no field: words and forms of words, anywhere in an event.
//!
//! A word is in one of three places: in the words field, where every leaf's words are that is no
//! column; whole in a column of unique values; or in a value of another column, which is found through
//! the column's dictionary. See `event::columns::Words`.

use tantivy::query::{RegexQuery, TermQuery};
use tantivy::schema::{IndexRecordOption, Term};

use super::IndexError;
use super::clauses::{
    Clause, Context, Docs, TextField, ValueTest, docs_with_values, ordinals_where,
};
use super::schema::Fields;
use crate::event::columns::{ColumnId, Words};
use crate::event::words::each_word;

/// Events that hold a word, given in lower case.
#[derive(Debug)]
pub struct WordClause {
    pub word: String,
}

impl Clause for WordClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let fields = &context.snapshot.fields;
        let mut terms = vec![Term::from_field_text(fields.words, &self.word)];
        for id in columns(Words::Whole) {
            let field = Fields::column(id);
            terms.push(Term::from_field_text(field, &self.word));
            let upper = self.word.to_ascii_uppercase();
            if upper != self.word {
                terms.push(Term::from_field_text(field, &upper));
            }
        }
        let mut parts = Vec::new();
        for term in terms {
            let known =
                context.segment.reader.inverted_index(term.field())?.get_term_info(&term)?;
            if known.is_some() {
                parts.push(context.query(&TermQuery::new(term, IndexRecordOption::Basic))?);
            }
        }
        for (id, ordinals) in context.segment.column_words()?.values_with(&self.word) {
            if let Some(column) = context.segment.text_column(id)? {
                parts.push(docs_with_values(context, &TextField::Column(id), &column, &ordinals)?);
            }
        }
        Ok(context.union(parts))
    }
}

/// Events that hold a word of a form.
#[derive(Debug)]
pub struct WordFormClause<T> {
    /// Tests a word in lower case.
    pub test: T,
    /// The same as a regular expression, for words in lower and in upper case.
    pub regex_lower: String,
    pub regex_upper: String,
}

impl<T: ValueTest> Clause for WordFormClause<T> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let regex = |regex: &str, field| context.query(&RegexQuery::from_pattern(regex, field)?);
        let mut parts = vec![regex(&self.regex_lower, context.snapshot.fields.words)?];
        for id in columns(Words::Whole) {
            parts.push(regex(&self.regex_lower, Fields::column(id))?);
            parts.push(regex(&self.regex_upper, Fields::column(id))?);
        }
        let mut buffer = String::new();
        for id in columns(Words::Dictionary) {
            let Some(column) = context.segment.text_column(id)? else { continue };
            let ordinals = ordinals_where(&column, |value| {
                let mut is_met = false;
                each_word(value, &mut buffer, |word| is_met |= self.test.is_met_by(word));
                is_met
            })?;
            parts.push(docs_with_values(context, &TextField::Column(id), &column, &ordinals)?);
        }
        Ok(context.union(parts))
    }
}

/// Events with a column value that holds words in a row.
#[derive(Debug)]
pub struct ColumnPhraseClause<T> {
    pub test: T,
}

impl<T: ValueTest> Clause for ColumnPhraseClause<T> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let mut parts = Vec::new();
        for id in columns(Words::Dictionary) {
            let Some(column) = context.segment.text_column(id)? else { continue };
            let ordinals = ordinals_where(&column, |value| self.test.is_met_by(value))?;
            parts.push(docs_with_values(context, &TextField::Column(id), &column, &ordinals)?);
        }
        Ok(context.union(parts))
    }
}

fn columns(words: Words) -> impl Iterator<Item = ColumnId> {
    ColumnId::all().filter(move |id| id.column().words == words)
}
